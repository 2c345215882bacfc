// The SDK, from the folder of installed packages that the command line names: nothing is installed beside this file.

import "./wire.mjs"; // first, so that stdout is out of reach
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { resolve } = createRequire(join(process.argv[2], "package.json"));
const load = (name) => import(pathToFileURL(resolve(name)));

export const sdk = await load("matrix-js-sdk");
export const cryptoApi = await load("matrix-js-sdk/lib/crypto-api/index.js");

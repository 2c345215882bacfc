// What Draupnir's library says of policy lists: one JSON request on stdin, one JSON answer on stdout.
// {write: [{ban: "@user"}, {takedown: "@user", hashed: true} ...]} -> the state events that its editor sends;
// {read: [events], users: [ids]} -> state key and reason of the rule that bans each user, or null.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const require = createRequire(`${process.argv[2]}/package.json`);
const suite = require("@gnuxie/matrix-protection-suite");
const { MatrixRoomID, StringRoomID } = require("@the-draupnir-project/matrix-basic-types");

const room = new MatrixRoomID(StringRoomID("!list:example.org"), []);
const blank = suite.StandardPolicyRoomRevision.blankRevision(room);

async function written(orders) {
  const events = [];
  const sender = {
    async sendStateEvent(_room, type, key, content) {
      events.push({ type, state_key: key, content: { ...content } });
      return suite.Ok("$event");
    },
  };
  const editor = new suite.StandardPolicyRoomEditor(room, { currentRevision: blank }, {}, sender);
  for (const { ban, takedown, hashed } of orders) {
    if (ban) await editor.banEntity(suite.PolicyRuleType.User, ban, "spam");
    else await editor.takedownEntity(suite.PolicyRuleType.User, takedown, { shouldHash: hashed });
  }
  return events;
}

function read(events, users) {
  const revision = blank.reviseFromState(events.filter((event) => suite.isPolicyRuleEvent(event)));
  const wanted = {
    type: suite.PolicyRuleType.User,
    recommendation: suite.Recommendation.Ban,
    searchHashedRules: true,
  };
  const banning = (user) => revision.findRuleMatchingEntity(user, wanted);
  return {
    keys: users.map((user) => banning(user)?.sourceEvent.state_key ?? null),
    reasons: users.map((user) => banning(user)?.reason ?? null),
  };
}

const asked = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(asked.write ? await written(asked.write) : read(asked.read, asked.users)));

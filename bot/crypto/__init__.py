"""End-to-end encryption: our keys, other people's devices, and messages between them.

`CryptoMachine` (machine.py) is what the rest of the bot talks to; `CrossSigning`, `SecretStorage` and `KeyBackup` are
for whoever sets the account up; `Verification` for whoever compares emoji with us; attachments.py for files. Decision
0018 says how they are built and why.
"""

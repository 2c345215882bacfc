"""End-to-end encryption: our keys, other people's devices, and messages between them.

The rest of the bot uses `CryptoMachine` (machine.py). `CrossSigning`, `SecretStorage` and `KeyBackup` are for setting
the account up, `Verification` for comparing emoji with people, attachments.py for files. Decision 0018 describes their
design and its reasons.
"""

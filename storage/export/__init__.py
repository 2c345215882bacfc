"""Records for outsiders: a zip with the records, their proofs, a readable page and a program that checks it all."""

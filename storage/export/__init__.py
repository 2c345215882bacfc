"""Records for people outside: a zip with the records, their proofs, a page to read and a program that checks it all."""

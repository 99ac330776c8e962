"""The rules of Tollkeeper, as pure functions over frozen values.

1. Nothing here reads a clock, a file, a socket, a database or a random number; what is needed is passed in.
2. A function takes what is (a snapshot), what is asked (a command) and the time, and returns the answer
   and what changes.
3. A denial is a value; an error is a `Refused` exception. Neither changes anything.
4. All times are microseconds of the store's clock, all credits whole numbers.
"""

"""Commands that run or look after the processes of an installation."""

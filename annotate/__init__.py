"""Where people meet it: sign-in, pages, API, exports, command line, migrations, translations."""

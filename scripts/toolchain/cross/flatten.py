"""flatten.py COMMAND… -- ARGUMENT…: runs the command with the arguments, in one response file.

zig's linker driver knows no response file within another, which meson writes for long lines, and no --exclude-libs,
which hides nothing that a version script with `local: *` does not hide already."""

import os
import shlex
import subprocess
import sys
import tempfile

DROPPED = "-Wl,--exclude-libs"


def expanded(arguments):
    """The arguments with all response files replaced by what they hold."""
    for argument in arguments:
        if argument.startswith("@") and os.path.exists(argument[1:]):
            with open(argument[1:], encoding="utf-8") as file:
                yield from expanded(shlex.split(file.read()))
        elif not argument.startswith(DROPPED):
            yield argument


def quoted(argument):
    """As zig reads response files."""
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main():
    end = sys.argv.index("--")
    with tempfile.NamedTemporaryFile("w", suffix=".rsp") as file:
        file.write("\n".join(map(quoted, expanded(sys.argv[end + 1:]))))
        file.flush()
        sys.exit(subprocess.run([*sys.argv[1:end], f"@{file.name}"], check=False).returncode)


if __name__ == "__main__":
    main()

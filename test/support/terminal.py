"""Runs a command at a pseudo-terminal: stdin goes to it key by key, all it prints comes out on stdout, its exit code is ours."""
import fcntl, os, pty, select, struct, sys, termios

pid, terminal = pty.fork()
if pid == 0:
    # Rows, columns: a new terminal has none of either.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 50, 120, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
inputs = [terminal, 0]
while True:
    ready, _, _ = select.select(inputs, [], [])
    if 0 in ready:
        keys = os.read(0, 4096)
        if keys:
            os.write(terminal, keys)
        else:
            inputs.remove(0)
    if terminal in ready:
        try:
            page = os.read(terminal, 4096)
        except OSError:
            break
        if not page:
            break
        os.write(1, page)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 255)

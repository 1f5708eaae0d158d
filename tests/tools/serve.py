"""serve.py FOLDER ranges|plain PORT_FILE: an HTTP server of a folder's files on a free port of 127.0.0.1, which it writes.

With `ranges` it can serve the rest of a file.  Of a file called break-* it sends half at first, and then hangs up."""
import http.server
import os
import sys

folder, mode, port_file = sys.argv[1:]
broken = set()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = os.path.basename(self.path)
        wanted = self.headers.get("Range")
        print(f"GET {name} Range: {wanted}", file=sys.stderr, flush=True)
        try:
            with open(os.path.join(folder, name), "rb") as file:
                content = file.read()
        except OSError:
            self.send_error(404)
            return
        begin = int(wanted[len("bytes="):-1]) if wanted and mode == "ranges" else 0
        if begin >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        rest = content[begin:]
        if name.startswith("break-") and name not in broken:
            broken.add(name)
            rest = rest[:len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(port_file + ".new", "w") as file:
    file.write(str(server.server_port))
os.rename(port_file + ".new", port_file)
server.serve_forever()

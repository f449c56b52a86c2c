"""What is compared: how each proxy is configured and started, and what it is able to check."""

import base64
import dataclasses
import pathlib
import shutil
import subprocess

PEERS = pathlib.Path(__file__).resolve().parents[1] / "peers"
LUA_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")

NAMES = ("hubgate", "hubgate-2", "nginx", "nginx-lua", "haproxy", "haproxy-hmac", "floor")


@dataclasses.dataclass(frozen=True)
class Proxy:
    """One of the compared."""
    name: str
    # What is started; `{config}` and the like are filled in.
    command: tuple
    # Its configuration's template, if it has one.
    template: str = None
    # Whether it looks at signatures.
    signed: bool = True
    version_command: tuple = ()
    workers: int = 1
    needs: tuple = ()
    # Idle connections that it has to keep while it is measured.
    held_connections: int = 0

    def is_installed(self):
        return bool(self.command[0]) and all(
            shutil.which(str(needed)) or pathlib.Path(needed).is_file()
            for needed in (self.command[0], *self.needs))

    def version(self):
        if not self.version_command:
            return "of this source"
        shown = subprocess.run(self.version_command, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, check=False)
        return shown.stdout.splitlines()[0].split(" - ")[0]

    def configure(self, directory, values, body_bytes):
        """Writes the configuration for one run; the command that starts it."""
        config = directory / f"{self.name}.conf"
        if self.template:
            text = (PEERS / self.template).read_text(encoding="utf-8")
            filled = values | {
                "DIR": directory, "PEERS": PEERS, "WORKERS": self.workers,
                "BUFSIZE": haproxy_buffer(body_bytes if self.signed else 0),
                "SECRET_BASE64": secret_base64(values["PKI"]),
            }
            for key, value in filled.items():
                text = text.replace(f"@{key}@", str(value))
            config.write_text(text, encoding="utf-8")
        return [str(part).format(config=config, listen=values["LISTEN"],
                                 origin=values["ORIGIN"], pki=values["PKI"])
                for part in self.command]


def known(programs, hubgate):
    """All that can be compared, found or not."""
    hubgate = hubgate or programs.get("hubgate", "")
    run_hubgate = (hubgate, "run", "--config", "{config}")
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
    run_nginx = (nginx, "-c", "{config}")
    run_haproxy = (haproxy, "-db", "-f", "{config}")
    return [
        Proxy("hubgate", run_hubgate, "hubgate.toml"),
        # Only for the scaling over cores.
        Proxy("hubgate-2", run_hubgate, "hubgate.toml", workers=2),
        Proxy("nginx", run_nginx, "nginx.conf", signed=False, version_command=(nginx, "-v")),
        Proxy("nginx-lua", run_nginx, "nginx-lua.conf", version_command=(nginx, "-v"),
              needs=(LUA_MODULE,)),
        Proxy("haproxy", run_haproxy, "haproxy.cfg", signed=False, version_command=(haproxy, "-v")),
        Proxy("haproxy-hmac", run_haproxy, "haproxy-hmac.cfg", version_command=(haproxy, "-v")),
        Proxy("floor", (programs.get("floor", ""), "--listen", "{listen}", "--upstream",
                        "{origin}", "--pki", "{pki}")),
    ]


def haproxy_buffer(body_bytes):
    """HAProxy hashes only what fits into one buffer. It gets its default where that is enough, for
    its memory's sake, and else the body with its head and the space that HAProxy keeps free."""
    return 16384 if body_bytes <= 8192 else body_bytes + 65536


def secret_base64(pki):
    return base64.b64encode((pki / "app-secret").read_bytes()).decode()

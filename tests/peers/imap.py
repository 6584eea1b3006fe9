"""A real IMAP server, Dovecot, with one mailbox, in a folder of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from deploy.local.installation import free_port
from tests import packages
from tests.guard import guard
from tests.patience import Patience

USER, PASSWORD = "help", "mailbox-password"
OWNER = "nobody"  # Dovecot keeps mail for no user with the id 0

CONFIG = """
base_dir = {folder}/run
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0 secs
default_login_user = {owner}
default_internal_user = {owner}
default_internal_group = {group}
first_valid_uid = 1
mail_location = maildir:{folder}/mail
mail_uid = {owner}
mail_gid = {group}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={owner} gid={group} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Mailbox:
    """The server; `deliver` puts a message into the inbox as a mail server does."""

    def __init__(self) -> None:
        self.port, self._number = free_port(), 0
        self.folder = Path(tempfile.mkdtemp(prefix="posthaste-imap-"))
        guard().tell(f"folder {self.folder}")

    def __enter__(self) -> Self:
        account = pwd.getpwnam(OWNER)
        group = subprocess.run(["id", "-gn", OWNER], capture_output=True, text=True, check=True).stdout.strip()
        self.folder.chmod(0o755)
        for name in ("run", "mail", "mail/cur", "mail/new", "mail/tmp"):
            (self.folder / name).mkdir()
        for name in ("mail", "mail/cur", "mail/new", "mail/tmp"):
            shutil.chown(self.folder / name, account.pw_uid, account.pw_gid)
        config = self.folder / "dovecot.conf"
        config.write_text(CONFIG.format(folder=self.folder, owner=OWNER, group=group, password=PASSWORD, port=self.port))
        command = [str(packages.dovecot()), "-F", "-c", str(config)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        guard().tell(f"+{self.process.pid}")
        patience = Patience(20)
        while not self._answers():
            assert not patience.is_over(), (self.folder / "dovecot.log").read_text()
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            return connection.recv(100).startswith(b"* OK")
        return False

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)
        guard().tell(f"-{self.process.pid}")
        shutil.rmtree(self.folder, ignore_errors=True)

    def deliver(self, content: bytes) -> None:
        """Put a message into the inbox."""
        self._number += 1
        account = pwd.getpwnam(OWNER)
        name = f"{time.time_ns()}.M{self._number}.test"
        path = self.folder / "mail" / "tmp" / name
        path.write_bytes(content)
        os.chown(path, account.pw_uid, account.pw_gid)
        path.rename(self.folder / "mail" / "new" / name)

    def renumber(self) -> None:
        """Make the folder anew, as after a restore: another UIDVALIDITY, other UIDs."""
        for path in (self.folder / "mail").glob("dovecot*"):
            path.unlink()
        (self.folder / "mail" / "dovecot-uidvalidity").unlink(missing_ok=True)

    def unread(self) -> int:
        """Return how many messages are not marked as read."""
        new, kept = (self.folder / "mail" / "new").iterdir(), (self.folder / "mail" / "cur").iterdir()
        return sum(1 for _ in new) + sum("S" not in path.name.partition(":2,")[2] for path in kept)

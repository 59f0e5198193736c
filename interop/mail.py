"""A mail server on aiosmtpd, for tests.

Usage: mail.py starttls|tls|plain CERTIFICATE KEY

It prints `PORT number`, and then a line of JSON for each mail that it accepts. It wants a sign-in (ops, "correct horse"), refuses the first mail for
now (451), and mail for nobody@example.org for good (550).
"""

import asyncio
import json
import ssl
import sys
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Mail:
    """What becomes of mails."""

    def __init__(self):
        self.refused = False

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 there is no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if not self.refused:
            self.refused = True
            return "451 4.7.1 not now"
        mail = message_from_bytes(envelope.content, policy=policy.default)
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "subject": str(mail["subject"]),
            "id": str(mail["message-id"]),
            "text": mail.get_content(),
            "tls": session.ssl is not None or sys.argv[1] == "tls",
        }
        print(json.dumps(told), flush=True)
        return "250 OK"


def sign_in(server, session, envelope, mechanism, data):
    good = LoginPassword(b"ops", b"correct horse")
    return AuthResult(success=data == good, handled=False)


async def main():
    mode, certificate, key = sys.argv[1:]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    mail = Mail()

    def session():
        starttls = mode == "starttls"
        return SMTP(
            mail,
            hostname="localhost",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            auth_required=True,
            auth_require_tls=starttls,
            authenticator=sign_in,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    print("PORT", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())

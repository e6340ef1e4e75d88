"""Signs requests by the official SDKs for Python.

Reads one request per line from stdin, {"sdk", "secret", "id", "url", "body", "fields"}, and writes
its headers, an object, as one line to stdout.
"""

import datetime
import json
import sys
import time

import slack_sdk.signature
import standardwebhooks
import stripe
import svix.webhooks
import twilio.request_validator


def sign_stripe(request):
    # The SDK has no public function that signs; this one is what its verification compares with.
    now = int(time.time())
    signed = f"{now}.{request['body']}"
    signature = stripe.WebhookSignature._compute_signature(signed, request["secret"])
    return {"stripe-signature": f"t={now},v1={signature}"}


def sign_standard(webhook, prefix, request):
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return {
        f"{prefix}-id": request["id"],
        f"{prefix}-timestamp": str(int(now.timestamp())),
        f"{prefix}-signature": webhook(request["secret"]).sign(request["id"], now, request["body"]),
    }


def sign_slack(request):
    now = str(int(time.time()))
    verifier = slack_sdk.signature.SignatureVerifier(request["secret"])
    signature = verifier.generate_signature(timestamp=now, body=request["body"])
    return {"x-slack-request-timestamp": now, "x-slack-signature": signature}


def sign_twilio(request):
    validator = twilio.request_validator.RequestValidator(request["secret"])
    signature = validator.compute_signature(request["url"], request["fields"])
    return {"x-twilio-signature": signature}


SDKS = {
    "stripe": sign_stripe,
    "standardwebhooks": lambda request: sign_standard(standardwebhooks.Webhook, "webhook", request),
    "svix": lambda request: sign_standard(svix.webhooks.Webhook, "svix", request),
    "slack_sdk": sign_slack,
    "twilio": sign_twilio,
}

for line in sys.stdin:
    given = json.loads(line)
    print(json.dumps(SDKS[given["sdk"]](given)), flush=True)

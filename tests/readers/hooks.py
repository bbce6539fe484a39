"""Habits of schemathesis while it holds the API against its document."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    # The answer is what is judged, not what lies behind it: the store of the test is nowhere.
    kwargs["allow_redirects"] = False

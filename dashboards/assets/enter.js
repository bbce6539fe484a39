// The page of a log-in link, with its reader before it: the button presses itself. Mail scanners and
// previews in chats run no script, and a page that is loaded ahead waits until it is shown.
"use strict";

const enter = () => document.querySelector("form").requestSubmit();
if (document.prerendering) document.addEventListener("prerenderingchange", enter, { once: true });
else enter();

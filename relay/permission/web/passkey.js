"use strict";
// Hands a passkey's challenge to the browser and puts the answer into the form
// that asked for it. Without it, or in a browser that has no passkeys, those
// forms stay hidden and the password is left.
(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  const bytes = (s) => Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const parts = (o, names) => Object.fromEntries(names.filter((n) => o[n]).map((n) => [n, text(o[n])]));
  const ask = async (kind, options) => {
    const publicKey = { ...options, challenge: bytes(options.challenge) };
    for (const list of ["excludeCredentials", "allowCredentials"]) publicKey[list] = (options[list] || []).map((c) => ({ ...c, id: bytes(c.id) }));
    if (options.user) publicKey.user = { ...options.user, id: bytes(options.user.id) };
    const c = await navigator.credentials[kind]({ publicKey });
    return JSON.stringify({
      id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: {},
      response: parts(c.response, ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]),
    });
  };
  for (const form of document.querySelectorAll("form.passkey")) {
    const field = form.elements.answer, problem = form.querySelector("[role=alert]");
    form.hidden = false;
    field.value = ""; // a browser that comes back to the page may have kept the last one
    form.addEventListener("submit", async (event) => {
      if (field.value) return;
      event.preventDefault();
      problem.hidden = true;
      try {
        field.value = await ask(form.dataset.kind, JSON.parse(form.dataset.options));
        form.submit();
      } catch {
        problem.hidden = false;
      }
    });
  }
})();

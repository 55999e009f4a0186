// The one script here: it hands a passkey's challenge to the browser and puts
// the answer into the form that asked for it. Without it, or in a browser that
// has no passkeys, those forms stay hidden and the code of an app is left.
"use strict";

(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const toBytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const toText = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const withBytes = (list) => (list || []).map((c) => ({ ...c, id: toBytes(c.id) }));

  async function ceremony(kind, options) {
    const publicKey = { ...options, challenge: toBytes(options.challenge) };
    if (kind === "create") {
      publicKey.user = { ...options.user, id: toBytes(options.user.id) };
      publicKey.excludeCredentials = withBytes(options.excludeCredentials);
      const made = await navigator.credentials.create({ publicKey });
      return answer(made, {
        attestationObject: toText(made.response.attestationObject),
        transports: made.response.getTransports ? made.response.getTransports() : [],
      });
    }
    publicKey.allowCredentials = withBytes(options.allowCredentials);
    const shown = await navigator.credentials.get({ publicKey });
    return answer(shown, {
      authenticatorData: toText(shown.response.authenticatorData),
      signature: toText(shown.response.signature),
      userHandle: shown.response.userHandle ? toText(shown.response.userHandle) : undefined,
    });
  }

  function answer(credential, response) {
    return JSON.stringify({
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment || undefined,
      clientExtensionResults: {},
      response: { clientDataJSON: toText(credential.response.clientDataJSON), ...response },
    });
  }

  for (const form of document.querySelectorAll("form.passkey")) {
    form.hidden = false;
    form.elements.answer.value = ""; // a browser that comes back to the page may have kept the last one
    const alert = form.querySelector("[role=alert]");
    form.addEventListener("submit", async (event) => {
      const field = form.elements.answer;
      if (field.value) return;
      event.preventDefault();
      alert.hidden = true;
      try {
        field.value = await ceremony(form.dataset.ceremony, JSON.parse(form.dataset.options));
        form.submit();
      } catch (e) {
        alert.textContent = e.name === "InvalidStateError"
          ? "This device has a passkey here already."
          : "The passkey was not used: it was cancelled, took too long, or this device has none for this site. Try again.";
        alert.hidden = false;
      }
    });
  }
})();

// Puts the app into its frame, once the secret is kept for it.
import "./secret.js";

const app = document.createElement("iframe");
app.src = `/index.html${location.search}`;
app.addEventListener("load", () => app.contentWindow.focus());
document.body.append(app);

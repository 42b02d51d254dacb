import { defineConfig } from "vite";

export default defineConfig({
  // The server sends a policy that allows neither inline scripts nor styles nor data URLs for
  // them, so nothing may be inlined and no module-preload shim is wanted.
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { input: ["index.html", "console.html"] },
  },
});

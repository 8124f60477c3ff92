// One build for both kinds of page. The server reads the manifest and writes the tags itself, so nothing here
// knows HTML; entries share no module, so that each page kind loads exactly one script.
import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/dist/",
  publicDir: false,
  css: { transformer: "lightningcss" },
  build: {
    outDir: "../static/dist",
    emptyOutDir: true,
    manifest: "manifest.json",
    modulePreload: false,
    target: ["chrome111", "safari16.4", "firefox121"],
    cssTarget: ["chrome111", "safari16.4", "firefox121"],
    assetsInlineLimit: 0,
    rolldownOptions: {
      input: ["src/page.ts", "src/workspace.ts", "src/app.css", "src/work.css"],
    },
  },
});

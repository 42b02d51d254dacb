// What `import native from 'libsampan.so'` gives.
export { native as default } from "./index.js";

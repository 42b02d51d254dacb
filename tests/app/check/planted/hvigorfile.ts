export default {
  system: appTasks,
  plugins: (
}; // mistake: parse

/* How libffi hides a name: in C an attribute, in assembler a directive. */
#ifdef __ASSEMBLER__
#define FFI_HIDDEN(name) .hidden name
#else
#define FFI_HIDDEN __attribute__((visibility("hidden")))
#endif

/* What nettle's configure appends to config.h. */
#include <alloca.h>
#define NORETURN __attribute__((__noreturn__))
#define PRINTF_STYLE(f, a) __attribute__((__format__(__printf__, f, a)))
#define UNUSED __attribute__((__unused__))
#define HAVE_NATIVE_64_BIT 1

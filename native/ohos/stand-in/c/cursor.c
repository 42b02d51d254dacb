// A stand-in for OpenHarmony's libnative_window_manager.so: knows which window holds the pointer. Codes are those of window_manager/oh_window_comm.h.

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static atomic_int holder;

int32_t OH_WindowManager_LockCursor(int32_t window, bool follows) {
    // One that follows would leave the window's place.
    if (window <= 0 || follows)
        return 401;
    atomic_store(&holder, window);
    return 0;
}

int32_t OH_WindowManager_UnlockCursor(int32_t window) {
    if (window <= 0)
        return 401;
    int expected = window;
    atomic_compare_exchange_strong(&holder, &expected, 0);
    return 0;
}

/// The window that holds the pointer; 0 if none does.
int32_t stand_in_cursor_holder(void) { return atomic_load(&holder); }

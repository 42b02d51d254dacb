// The stand-in as Node.js loads it: `process.dlopen` of this library gives its functions for tests, each of numbers and texts to a number.
//
// The functions of N-API are the engine's and found in it. Whoever else loads this library has none of them, and calls none: they are weak.
// Signatures and numbers are those of Node.js's js_native_api.h, which never change.

#include <stddef.h>
#include <stdint.h>

typedef struct Env Env;
typedef struct Value Value;
typedef struct Info Info;
typedef Value *Callback(Env *, Info *);

enum { NAPI_OK = 0, UINT8_ARRAY = 1, UINT8_CLAMPED_ARRAY = 2 };
enum { MAX_ARGUMENTS = 3, MAX_TEXT = 32 };

#define ENGINE(name, ...) __attribute__((weak)) int name(Env *, __VA_ARGS__)
ENGINE(napi_create_function, const char *, size_t, Callback *, void *, Value **);
ENGINE(napi_create_int64, int64_t, Value **);
ENGINE(napi_get_cb_info, Info *, size_t *, Value **, Value **, void **);
ENGINE(napi_get_typedarray_info, Value *, int *, size_t *, void **, Value **, size_t *);
ENGINE(napi_get_value_int64, Value *, int64_t *);
ENGINE(napi_get_value_string_utf8, Value *, char *, size_t, size_t *);
ENGINE(napi_set_named_property, Value *, const char *, Value *);
ENGINE(napi_throw_type_error, const char *, const char *);

uint64_t stand_in_surface(void);
uint64_t stand_in_surface_as(uint64_t id);
void stand_in_destroy(uint64_t id);
int32_t stand_in_set(uint64_t id, const char *what, int32_t value);
int64_t stand_in_get(uint64_t id, const char *what);
int64_t stand_in_shown(uint64_t id, uint8_t *into, int64_t room);
int32_t stand_in_watch(uint64_t id);
int32_t stand_in_faults(void);
void stand_in_vsync(int period, int how);
int64_t stand_in_played(int16_t *samples, int64_t frames);
int64_t stand_in_loudest(int64_t from);
int32_t stand_in_sound(int32_t what);

typedef struct {
    int64_t number;
    char text[MAX_TEXT];
    uint8_t *bytes;
    size_t length;
} Argument;

static int64_t surface(const Argument *a) { (void)a; return (int64_t)stand_in_surface(); }
static int64_t surface_as(const Argument *a) { return (int64_t)stand_in_surface_as((uint64_t)a->number); }
static int64_t destroy(const Argument *a) { stand_in_destroy((uint64_t)a->number); return 0; }
static int64_t set(const Argument *a) { return stand_in_set((uint64_t)a->number, a[1].text, (int32_t)a[2].number); }
static int64_t get(const Argument *a) { return stand_in_get((uint64_t)a->number, a[1].text); }
static int64_t shown(const Argument *a) { return stand_in_shown((uint64_t)a->number, a[1].bytes, (int64_t)a[1].length); }
static int64_t watch(const Argument *a) { return stand_in_watch((uint64_t)a->number); }
static int64_t broken_rules(const Argument *a) { (void)a; return stand_in_faults(); }
static int64_t vsync(const Argument *a) { stand_in_vsync((int)a->number, (int)a[1].number); return 0; }
static int64_t played(const Argument *a) { (void)a; return stand_in_played(NULL, 0); }
static int64_t loudest(const Argument *a) { return stand_in_loudest(a->number); }
static int64_t sound(const Argument *a) { return stand_in_sound((int32_t)a->number); }

// A letter for each argument: a number, a text, bytes.
static const struct Function {
    const char *name, *arguments;
    int64_t (*call)(const Argument *);
} functions[] = {
    {"surface", "", surface},  {"surfaceAs", "n", surface_as}, {"destroy", "n", destroy},
    {"set", "ntn", set},       {"get", "nt", get},             {"shown", "nb", shown},
    {"watch", "n", watch},     {"faults", "", broken_rules},   {"vsync", "nn", vsync},
    {"played", "", played},    {"loudest", "n", loudest},      {"sound", "n", sound},
};

static int read_argument(Env *env, Value *value, char kind, Argument *into) {
    int type;
    switch (kind) {
        case 'n': return napi_get_value_int64(env, value, &into->number) == NAPI_OK;
        case 't': return napi_get_value_string_utf8(env, value, into->text, MAX_TEXT, NULL) == NAPI_OK;
        default:
            return napi_get_typedarray_info(env, value, &type, &into->length, (void **)&into->bytes, NULL, NULL) == NAPI_OK &&
                   (type == UINT8_ARRAY || type == UINT8_CLAMPED_ARRAY);
    }
}

static Value *called(Env *env, Info *info) {
    Value *given[MAX_ARGUMENTS], *result = NULL;
    size_t count = MAX_ARGUMENTS;
    void *data;
    if (napi_get_cb_info(env, info, &count, given, NULL, &data) != NAPI_OK) return NULL;
    const struct Function *function = data;
    // Those that were not given are `undefined`, which is of no kind.
    Argument arguments[MAX_ARGUMENTS] = {0};
    for (size_t i = 0; function->arguments[i]; i++) {
        if (!read_argument(env, given[i], function->arguments[i], &arguments[i])) {
            napi_throw_type_error(env, NULL, function->name);
            return NULL;
        }
    }
    napi_create_int64(env, function->call(arguments), &result);
    return result;
}

Value *napi_register_module_v1(Env *env, Value *exports) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        Value *function;
        const char *name = functions[i].name;
        if (napi_create_function(env, name, SIZE_MAX, called, (void *)&functions[i], &function) != NAPI_OK) return NULL;
        napi_set_named_property(env, exports, name, function);
    }
    return exports;
}

// Which mutex guards what, in words that clang checks (-Wthread-safety) and other compilers pass
// over.
#pragma once

#if defined(__clang__)
#define COHO_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define COHO_THREAD_ANNOTATION(x)
#endif

#define COHO_GUARDED_BY(mutex) COHO_THREAD_ANNOTATION(guarded_by(mutex))
#define COHO_REQUIRES(...) COHO_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define COHO_EXCLUDES(...) COHO_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))

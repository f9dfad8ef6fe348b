/* Stands for libLimosaCompiler.so in tests of the cache: copies the model,
 * which is a .lim file already, to the output, and notes the call in model +
 * ".log". */

#include "limosa/Compiler.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int32_t limosa_compiler_compile(const limosa_compile_options *options,
                                limosa_diagnostic_fn diagnostic,
                                void *context) {
  char path[4096], bytes[65536];
  snprintf(path, sizeof(path), "%s.log", options->model_path);
  FILE *log = fopen(path, "a");
  if (log) {
    fputs("compiled\n", log);
    fclose(log);
  }
  usleep(20000); /* let others come */
  FILE *in = fopen(options->model_path, "rb");
  size_t size = in ? fread(bytes, 1, sizeof(bytes), in) : 0;
  if (in)
    fclose(in);
  if (size < 6 || memcmp(bytes, "LIMOSA", 6) != 0) {
    diagnostic(context, LIMOSA_DIAGNOSTIC_ERROR, "the model is no good");
    diagnostic(context, LIMOSA_DIAGNOSTIC_ERROR, "and more");
    return 3;
  }
  FILE *out = fopen(options->output_path, "wb");
  if (!out)
    return 7;
  fwrite(bytes, 1, size, out);
  fclose(out);
  return 0;
}

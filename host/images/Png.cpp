//===- Png.cpp - PNG by libpng --------------------------------------------===//

#include "Image.h"

#include <csetjmp>
#include <cstring>
#include <png.h>

using namespace limosa::host;

namespace {

struct Source {
  Bytes Left;
  std::string *Error;
};

void read(png_structp Png, png_bytep To, size_t Count) {
  auto *S = static_cast<Source *>(png_get_io_ptr(Png));
  if (Count > S->Left.size())
    png_error(Png, "it ends before its last pixel");
  std::memcpy(To, S->Left.data(), Count);
  S->Left = S->Left.subspan(Count);
}
void fail(png_structp Png, png_const_charp Message) {
  static_cast<Source *>(png_get_error_ptr(Png))->Error->assign(Message);
  longjmp(png_jmpbuf(Png), 1);
}
void ignore(png_structp, png_const_charp) {}

} // namespace

// setjmp returns here: nothing with a destructor is made after it.
bool limosa::host::decodePng(Bytes In, Image &Out, std::string &Error) {
  Source S{In, &Error};
  std::vector<png_bytep> Rows;
  png_structp Png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &S, fail, ignore);
  png_infop Info = Png ? png_create_info_struct(Png) : nullptr;
  if (!Info || setjmp(png_jmpbuf(Png))) {
    png_destroy_read_struct(&Png, &Info, nullptr);
    return false;
  }
  png_set_read_fn(Png, &S, read);
  png_set_user_limits(Png, 1 << 20, 1 << 20);
  png_read_info(Png, Info);
  if (!Out.make(png_get_image_width(Png, Info), png_get_image_height(Png, Info),
                In, Error)) {
    png_destroy_read_struct(&Png, &Info, nullptr);
    return false;
  }
  // Whatever it is, eight bits of red, green and blue.
  png_set_expand(Png);
  png_set_scale_16(Png);
  png_set_strip_alpha(Png);
  png_set_gray_to_rgb(Png);
  png_set_interlace_handling(Png);
  png_read_update_info(Png, Info);
  if (png_get_rowbytes(Png, Info) != size_t(Out.Width) * 3)
    png_error(Png, "its pixels are of a kind that is not supported");
  Rows.resize(Out.Height);
  for (uint32_t Y = 0; Y < Out.Height; ++Y)
    Rows[Y] = Out.row(Y);
  png_read_image(Png, Rows.data());
  png_destroy_read_struct(&Png, &Info, nullptr);
  return true;
}

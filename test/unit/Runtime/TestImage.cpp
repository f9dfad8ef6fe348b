//===- TestImage.cpp - The image made of Kernels.c ------------------------===//

#include "ProgramBuilder.h"

#include <fstream>
#include <iterator>

const std::vector<uint8_t> &limosa::test::testImage() {
  static const std::vector<uint8_t> Image = [] {
    std::ifstream File(LIMOSA_TEST_KERNELS, std::ios::binary);
    return std::vector<uint8_t>(std::istreambuf_iterator<char>(File), {});
  }();
  return Image;
}

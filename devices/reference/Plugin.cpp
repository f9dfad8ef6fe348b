//===- Plugin.cpp - The reference device as a library of its own ----------===//

#include "ReferenceDevice.h"

extern "C" int32_t limosa_device_query(const limosa_host *Host,
                                       uint32_t MinVersion, uint32_t MaxVersion,
                                       const limosa_driver **Out) {
  return limosa_reference_device_query(Host, MinVersion, MaxVersion, Out);
}

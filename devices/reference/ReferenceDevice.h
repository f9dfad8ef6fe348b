//===- ReferenceDevice.h - The interpreter behind the device interface ----===//

#ifndef LIMOSA_REFERENCE_REFERENCEDEVICE_H
#define LIMOSA_REFERENCE_REFERENCEDEVICE_H

#include "limosa/device.h"

/// limosa_device_query of the reference device: takes ops, composites and
/// subgraphs, and evaluates them as their spec sentences say.
extern "C" int32_t limosa_reference_device_query(const limosa_host *Host,
                                                 uint32_t MinVersion,
                                                 uint32_t MaxVersion,
                                                 const limosa_driver **Out);

#endif // LIMOSA_REFERENCE_REFERENCEDEVICE_H

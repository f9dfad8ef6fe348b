//===- FarDevice.h - A device with memory of its own, for tests -*- C++ -*-===//
#ifndef LIMOSA_TEST_UNIT_RUNTIME_FARDEVICE_H
#define LIMOSA_TEST_UNIT_RUNTIME_FARDEVICE_H

#include "limosa/device.h"

namespace limosa::test {

/// Device "far": the host does not see its memory, and launches only happen
/// when the queue is finished or read. Its one kernel "scale" multiplies buffer
/// 0 by the first element of buffer 1; scalars: the count.
int32_t farDeviceQuery(const limosa_host *Host, uint32_t MinVersion,
                       uint32_t MaxVersion, const limosa_driver **Out);

/// Buffers that have not been freed.
int farBuffersAlive();

} // namespace limosa::test

#endif // LIMOSA_TEST_UNIT_RUNTIME_FARDEVICE_H

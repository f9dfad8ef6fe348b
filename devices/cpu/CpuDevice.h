//===- CpuDevice.h - The built-in CPU ---------------------------*- C++ -*-===//
#ifndef LIMOSA_DEVICES_CPU_CPUDEVICE_H
#define LIMOSA_DEVICES_CPU_CPUDEVICE_H

#include "limosa/device.h"

/// limosa_device_query of the CPU: takes generated kernels of format
/// "elf-x86_64" and runs them on the host's workers. A kernel's isa is a list
/// of features joined by '+', out of "avx2", "avx512", "avx512vnni",
/// "avx512bf16".
extern "C" int32_t limosa_cpu_device_query(const limosa_host *Host,
                                           uint32_t MinVersion,
                                           uint32_t MaxVersion,
                                           const limosa_driver **Out);

#endif // LIMOSA_DEVICES_CPU_CPUDEVICE_H

//===- ModelFile.h - The bytes of an ONNX model -----------------*- C++ -*-===//
//
// A parsed model with what it lives in: the file and its external data, mapped
// once and kept by everything that refers to them.
//
//===----------------------------------------------------------------------===//

#ifndef LIMOSA_LIB_FRONTEND_ONNX_MODELFILE_H
#define LIMOSA_LIB_FRONTEND_ONNX_MODELFILE_H

#include "onnx-ml.pb.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/MemoryBuffer.h"
#include <deque>
#include <memory>

namespace limosa::onnximport {

class ModelFile {
public:
  /// Reads and parses; "-" is the standard input.
  static llvm::Expected<std::shared_ptr<ModelFile>> open(llvm::StringRef Path);
  static llvm::Expected<std::shared_ptr<ModelFile>>
  parse(std::unique_ptr<llvm::MemoryBuffer> Bytes, llvm::StringRef Folder);

  const onnx::ModelProto &proto() const { return Proto; }
  llvm::StringRef name() const { return Name; }
  /// An empty node that lives as long as the model's own, for what a user's
  /// operator is made of.
  onnx::NodeProto &addNode() { return Added.emplace_back(); }

  /// The whole of an external data file, mapped. `Location` must name a file
  /// inside of the model's folder.
  llvm::Expected<llvm::StringRef> externalFile(llvm::StringRef Location);

private:
  std::string Name, Folder;
  onnx::ModelProto Proto;
  std::deque<onnx::NodeProto> Added;
  llvm::StringMap<std::unique_ptr<llvm::MemoryBuffer>> External;
};

/// A one-line error.
llvm::Error makeError(const llvm::Twine &Message);

} // namespace limosa::onnximport

#endif // LIMOSA_LIB_FRONTEND_ONNX_MODELFILE_H

//===- ModelFile.cpp - The bytes of an ONNX model -------------------------===//

#include "ModelFile.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;
using namespace limosa::onnximport;

Error limosa::onnximport::makeError(const Twine &Message) {
  return createStringError(inconvertibleErrorCode(), Message);
}

Expected<std::shared_ptr<ModelFile>> ModelFile::open(StringRef Path) {
  auto Bytes = MemoryBuffer::getFileOrSTDIN(Path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!Bytes)
    return makeError("cannot read '" + Path +
                     "': " + Bytes.getError().message());
  SmallString<256> Folder(Path == "-" ? "." : sys::path::parent_path(Path));
  if (Folder.empty())
    Folder = ".";
  auto File = parse(std::move(*Bytes), Folder);
  if (!File)
    return makeError("'" + Path + "' " + toString(File.takeError()));
  (*File)->Name = Path.str();
  return File;
}

Expected<std::shared_ptr<ModelFile>>
ModelFile::parse(std::unique_ptr<MemoryBuffer> Bytes, StringRef Folder) {
  auto File = std::make_shared<ModelFile>();
  File->Name = "model";
  File->Folder = Folder.str();
  StringRef Data = Bytes->getBuffer();
  if (Data.empty())
    return makeError("is empty; an ONNX model is expected");
  if (Data.size() > INT32_MAX)
    return makeError("is larger than 2 GB, which protocol buffers cannot hold; "
                     "save the model with external data");
  google::protobuf::io::ArrayInputStream Stream(Data.data(), int(Data.size()));
  google::protobuf::io::CodedInputStream Coded(&Stream);
  Coded.SetTotalBytesLimit(INT32_MAX);
  if (!File->Proto.ParseFromCodedStream(&Coded) ||
      !Coded.ConsumedEntireMessage())
    return makeError("is not an ONNX model, or a damaged one: its bytes do not "
                     "parse as a protocol buffer");
  if (!File->Proto.has_graph())
    return makeError("is not an ONNX model: it has no graph");
  return File;
}

Expected<StringRef> ModelFile::externalFile(StringRef Location) {
  auto Known = External.find(Location);
  if (Known != External.end())
    return Known->second->getBuffer();
  if (Location.empty() || sys::path::is_absolute(Location))
    return makeError("external data '" + Location +
                     "' must be a path relative to the model");
  SmallString<256> Path(Folder), Real, Root;
  sys::path::append(Path, Location);
  if (std::error_code E = sys::fs::real_path(Path, Real))
    return makeError("external data file '" + Path +
                     "' cannot be opened: " + E.message());
  // Links may lead anywhere: what counts is where the file really is.
  if (std::error_code E = sys::fs::real_path(Folder, Root))
    return makeError("folder '" + Folder + "' cannot be read: " + E.message());
  if (!Root.ends_with("/"))
    Root += "/";
  if (!StringRef(Real).starts_with(Root))
    return makeError("external data '" + Location +
                     "' lies outside of the model's folder");
  if (!sys::fs::is_regular_file(Real))
    return makeError("external data '" + Location + "' is not a regular file");
  auto Buffer = MemoryBuffer::getFile(Real, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!Buffer)
    return makeError("external data file '" + Path +
                     "' cannot be opened: " + Buffer.getError().message());
  StringRef Data = (*Buffer)->getBuffer();
  External[Location] = std::move(*Buffer);
  return Data;
}

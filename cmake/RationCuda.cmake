# The trainer's CUDA half. nvcc alone compiles the kernels (src/train/kernels/*.cu): no LibTorch, no library of the toolkit
# besides its runtime. They are linked into ration-train where LibTorch has CUDA; elsewhere the tests still compile them.
#
# Sets RATION_TORCH_HAS_CUDA, RATION_LINK_CUDA (ration-train can use a GPU) and RATION_COMPILE_CUDA (nvcc runs).

set(RATION_CUDA AUTO CACHE STRING "Let ration-train use NVIDIA GPUs: ON, OFF, or AUTO (where nvcc and a LibTorch with CUDA are found)")
set_property(CACHE RATION_CUDA PROPERTY STRINGS ON OFF AUTO)
set(RATION_CUDA_ARCHITECTURES 90 CACHE STRING "Compute capabilities to compile for (80: A100, 90: H100); later GPUs translate the last one")

file(GLOB RATION_CUDA_FOLDERS /usr/local/cuda /usr/local/cuda-13* ${PROJECT_SOURCE_DIR}/.venv/lib/python3*/site-packages/nvidia/cu13)
find_program(RATION_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS ${RATION_CUDA_FOLDERS} PATH_SUFFIXES bin
             DOC "Compiler of the CUDA 13 toolkit")
if(RATION_NVCC)
  file(REAL_PATH ${RATION_NVCC} nvcc_path)
  cmake_path(GET nvcc_path PARENT_PATH nvcc_folder)
  find_path(RATION_CUDA_INCLUDE cuda_runtime_api.h HINTS ${nvcc_folder}/../include ENV CUDA_HOME ENV CUDA_PATH
            PATHS ${RATION_CUDA_FOLDERS} PATH_SUFFIXES include DOC "Headers of the CUDA toolkit")
endif()
mark_as_advanced(RATION_NVCC RATION_CUDA_INCLUDE)

cmake_path(GET RATION_TORCH_PACKAGE PARENT_PATH torch_root)       # …/share/cmake
cmake_path(GET torch_root PARENT_PATH torch_root)
cmake_path(GET torch_root PARENT_PATH torch_root)
set(RATION_TORCH_ROOT ${torch_root})
set(RATION_TORCH_HAS_CUDA OFF)
if(EXISTS ${RATION_TORCH_ROOT}/lib/libtorch_cuda.so)
  set(RATION_TORCH_HAS_CUDA ON)
endif()

# Several processes can share GPUs where NCCL's header is found, and those of the toolkit's libraries that LibTorch's header of its
# NCCL group includes. All lie beside a LibTorch that pip installed; the others in a whole toolkit, too.
find_path(RATION_NCCL_INCLUDE nccl.h HINTS ${RATION_TORCH_ROOT}/../nvidia/nccl/include DOC "Folder of NCCL's header")
find_path(RATION_CUDA_LIBRARY_INCLUDE NAMES cusparse.h HINTS ${RATION_TORCH_ROOT}/../nvidia/cu13/include ${RATION_CUDA_INCLUDE}
          DOC "Folder of the headers of cuSPARSE, cuBLAS and cuSOLVER")
mark_as_advanced(RATION_NCCL_INCLUDE RATION_CUDA_LIBRARY_INCLUDE)
set(RATION_NCCL OFF)
if(RATION_NCCL_INCLUDE AND EXISTS "${RATION_CUDA_LIBRARY_INCLUDE}/cublas_v2.h" AND EXISTS "${RATION_CUDA_LIBRARY_INCLUDE}/cusolverDn.h")
  set(RATION_NCCL ON)
endif()

set(RATION_LINK_CUDA OFF)
if(RATION_CUDA AND RATION_TORCH_HAS_CUDA AND RATION_NVCC AND RATION_CUDA_INCLUDE)  # AUTO is true
  set(RATION_LINK_CUDA ON)
endif()
if(RATION_CUDA STREQUAL "ON" AND NOT RATION_LINK_CUDA)
  message(FATAL_ERROR "RATION_CUDA is ON, but ${RATION_TORCH_ROOT} is no LibTorch with CUDA, or the CUDA 13 toolkit was not found. "
                      "Give their places: -DCMAKE_PREFIX_PATH=<folder of libtorch>, CUDA_HOME=<folder of the toolkit> in the environment.")
endif()
set(RATION_COMPILE_CUDA ${RATION_LINK_CUDA})
if(RATION_CUDA AND RATION_TESTS AND RATION_NVCC)
  set(RATION_COMPILE_CUDA ON)
endif()
add_feature_info(cuda RATION_LINK_CUDA "ration-train on NVIDIA GPUs: needs a LibTorch with CUDA and nvcc of CUDA 13")
if(RATION_LINK_CUDA)
  add_feature_info(nccl RATION_NCCL "one run on several GPUs: needs the headers of NCCL, cuSPARSE, cuBLAS and cuSOLVER")
endif()

# ration_cuda_objects(OUTPUT source.cu…): compiles each with nvcc; OUTPUT names the list of object files.
function(ration_cuda_objects output)
  set(flags -std=c++20 -O3 --expt-relaxed-constexpr -Xcompiler=-fPIC,-Wall,-Wextra -I${PROJECT_SOURCE_DIR}/src)
  foreach(architecture ${RATION_CUDA_ARCHITECTURES})
    list(APPEND flags -gencode=arch=compute_${architecture},code=sm_${architecture})
    set(last ${architecture})
  endforeach()
  list(APPEND flags -gencode=arch=compute_${last},code=compute_${last})
  if(RATION_WERROR)
    list(APPEND flags -Werror=all-warnings)
  endif()
  set(objects)
  foreach(source ${ARGN})
    cmake_path(GET source STEM name)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
    add_custom_command(OUTPUT ${object}
                       COMMAND ${CMAKE_COMMAND} -E env ${CMAKE_CXX_COMPILER_LAUNCHER}
                               ${RATION_NVCC} ${flags} -MD -MF ${object}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
                       DEPENDS ${source} DEPFILE ${object}.d
                       COMMENT "Building CUDA object ${source}" VERBATIM)
    set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
    list(APPEND objects ${object})
  endforeach()
  set(${output} ${objects} PARENT_SCOPE)
endfunction()

# A LibTorch with CUDA as plain libraries: its package file wants the whole toolkit, cuBLAS and compiler tests included, of
# which the build needs nothing. Defines ration_torch, TORCH_LIBRARIES, TORCH_INCLUDE_DIRS and TORCH_INSTALL_PREFIX.
macro(ration_import_cuda_torch)
  set(TORCH_INSTALL_PREFIX ${RATION_TORCH_ROOT})
  set(TORCH_INCLUDE_DIRS ${RATION_TORCH_ROOT}/include ${RATION_TORCH_ROOT}/include/torch/csrc/api/include ${RATION_CUDA_INCLUDE})
  file(GLOB torch_runtimes ${RATION_TORCH_ROOT}/lib/libcudart*.so* ${RATION_TORCH_ROOT}/../nvidia/cu13/lib/libcudart.so*
       ${RATION_CUDA_INCLUDE}/../lib64/libcudart.so* ${RATION_CUDA_INCLUDE}/../lib/libcudart.so*)
  if(NOT torch_runtimes)
    message(FATAL_ERROR "libcudart was found neither beside LibTorch nor in the CUDA toolkit of ${RATION_NVCC}")
  endif()
  list(GET torch_runtimes 0 torch_runtime)
  add_library(ration_torch INTERFACE)
  # Operators for the GPU register themselves when libtorch_cuda is loaded; no symbol asks for it. What its own libraries need
  # is found where they are, at run time.
  target_link_libraries(ration_torch INTERFACE
    -Wl,--no-as-needed ${RATION_TORCH_ROOT}/lib/libtorch.so ${RATION_TORCH_ROOT}/lib/libtorch_cpu.so
    ${RATION_TORCH_ROOT}/lib/libtorch_cuda.so ${RATION_TORCH_ROOT}/lib/libc10.so ${RATION_TORCH_ROOT}/lib/libc10_cuda.so
    ${torch_runtime} -Wl,--allow-shlib-undefined)
  set(TORCH_LIBRARIES ration_torch)
endmacro()

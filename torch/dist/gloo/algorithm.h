// Gloo is inside libtorch, but its headers are not. These declare what ProcessGroupGloo.hpp names of it.
#pragma once

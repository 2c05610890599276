#include "worker/sdk/task.h"

int main(int argc, char** argv) { return coho::WorkerMain(argc, argv); }

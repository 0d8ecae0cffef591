/* The seed's: a latch, and a counter outside of the copy's window means that the copy is not valid now. */
#define LOOKS_AT_WINDOW
#include "latch.pml"

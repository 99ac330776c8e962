"""The transport `native`: gRPC on asyncio and the library h2, for cheap unary calls.

h2 keeps HTTP/2's rules (framing, header compression, flow control, the states of streams); this package puts gRPC on
top of it, and the bounds that a server on an open port needs. Why not grpcio's core, and why not another: see
docs/decisions/0025-a-native-transport-on-h2.md.
"""

"""The one door to the network: HTTP downloads over kept-alive connections. (Interface; body to be written.)"""

"""The formats that weights come in, one file each; none of them runs what it reads."""

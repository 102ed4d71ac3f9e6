"""The rules of the French shared health record (DMP): who may do what, and what they see. Tables are data in `dmp/data`."""

"""The French shared record (Dossier Médical Partagé): its rules as tables and small modules.

Sources: code de la santé publique L.1111-14 and after; GIE SESAM-Vitale PDT-INF-526 and 606; CNAM matrix of 25/09/2024.
"""

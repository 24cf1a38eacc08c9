"""`make demo`: synthesised sounds, classified and drawn by the shipped checkpoint.

    python -m experiments.demo --out demo      # a minute on a laptop: clips, pictures, reports and an overview

The clips are WAV files in the same folder, so you can listen to the sound behind each picture.
"""

from audiotoken.tasks.showcase import main

if __name__ == "__main__":
    main()

"""`make demo`: synthesised sounds, heard and drawn by the checkpoint that ships.

    python -m experiments.demo --out demo      # a minute on a laptop; clips, pictures, reports and one overview

The clips are WAV files in the same folder, so that you can listen to what each picture was drawn from.
"""

from audiotoken.tasks.showcase import main

if __name__ == "__main__":
    main()

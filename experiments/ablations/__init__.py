"""What each task of an ablation runs, and how runs become tables, plots and pages."""

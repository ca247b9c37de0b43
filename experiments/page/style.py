"""How the page looks: its colours, sizes and focus rings, in light and dark, on wide and narrow screens."""

import gradio as gr

CSS = """
.gradio-container {max-width: 1160px !important; width: 100% !important; margin: 0 auto !important}
.gradio-container {box-sizing: border-box}
.gradio-container main, .gradio-container .contain {width: 100%}
.gradio-container .fillable {max-width: 100% !important}
:focus-visible {outline: 3px solid var(--color-accent) !important; outline-offset: 2px}
#status {overflow: visible !important}
.pictures {display: grid; grid-template-columns: repeat(var(--columns), minmax(0, 1fr)); gap: 4px; max-width: 620px}
.pictures {margin: 0 auto; align-items: end}
.pictures img, #face img, #stations img, #grid img {width: 100%; display: block; image-rendering: pixelated}
.pictures .head {font-size: var(--text-xs); text-align: center; overflow-wrap: anywhere}
.pick {padding: 0; border: 0; background: none; cursor: pointer; color: inherit; font-size: var(--text-xs)}
.pick {align-self: start; line-height: 1.2; overflow-wrap: anywhere}
.pick:hover img {outline: 2px solid var(--color-accent)}
figure {margin: 0}
figcaption, .note {font-size: var(--text-sm); text-align: center; margin: 4px 0; color: var(--body-text-color)}
#face img, #grid img {max-height: 620px; object-fit: contain}
#face img {max-height: 360px}
#curves {overflow-x: auto !important}
#curves img {width: 100%; min-width: 560px; max-width: none}
.downloads {display: flex; flex-wrap: wrap; gap: 4px 16px; justify-content: center; margin: 4px 0}
.download {text-decoration: underline; font-size: var(--text-sm); color: var(--link-text-color)}
#status {flex: 1 1 300px; min-width: min(300px, 100%)}
.comparison {--share: 50%; max-width: 480px; margin: 0 auto}
.frames {position: relative}
.frames img {width: 100%; display: block; image-rendering: pixelated}
.over {position: absolute; inset: 0; clip-path: inset(0 calc(100% - var(--share)) 0 0)}
.ends {display: flex; gap: 8px; align-items: center; font-size: var(--text-sm)}
.ends input {flex: 1; min-width: 0; accent-color: var(--color-accent)}
.chooser {display: grid; gap: 8px; font-weight: 600}
.chooser input {font-weight: 400; max-width: 100%}
.chooser input::file-selector-button {font: inherit; padding: 6px 12px; border-radius: 6px; cursor: pointer}
.chooser input::file-selector-button {border: 1px solid var(--border-color-primary); margin-right: 8px}
.chooser input::file-selector-button {background: var(--button-secondary-background-fill); color: inherit}
.chosen {max-width: 100%; max-height: 200px}
.scores {overflow-x: auto}
.scores table {border-collapse: collapse; font-size: var(--text-sm); width: 100%}
.scores th, .scores td {text-align: left; padding: 4px 8px; border-bottom: 1px solid var(--border-color-primary)}
@media (max-width: 640px) {
  .scores thead {position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%)}
  .scores table, .scores tbody, .scores tr {display: block}
  .scores tr {padding: 6px 0; border-bottom: 1px solid var(--border-color-primary)}
  .scores td {display: inline-block; padding: 0 12px 0 0; border: 0}
  .scores td:first-child, .scores td:last-child {display: block}
  .scores td:first-child {font-weight: 600; overflow-wrap: anywhere}
  .scores td:empty {display: none}
  .scores td:not(:first-child):not(:last-child)::before {content: attr(data-head) " "; opacity: 0.7}
}
p.command {margin-top: 12px}
.command textarea {field-sizing: content; height: auto !important; max-height: none !important}
.dark {color-scheme: dark}
.command textarea, .command code {font-family: var(--font-mono); font-size: var(--text-sm); overflow-wrap: anywhere}
.word {display: inline-block; max-width: 100%}
.toast-wrap > :not(:last-child) {display: none}
"""
"""The last line hides all notes but the newest."""


def theme() -> gr.themes.Base:
    """Returns a theme that loads no fonts from elsewhere."""
    soft = gr.themes.Soft(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return soft.set(
        block_title_background_fill="none",
        block_title_padding="0",
        block_title_text_color="*neutral_600",
        block_title_text_color_dark="*neutral_300",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        link_text_color_dark="*primary_300",
    )
